"""Source lists of other finders: their formats, and their columns as measurements with our units and conventions."""
