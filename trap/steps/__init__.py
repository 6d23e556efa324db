"""The stages of the pipeline, one file each: science from the floors below, stored by the database layer.

Every function of TraP's ``tkp.steps`` is here under its own name, in the module of the same name.
Where an argument was an accident of TraP's (a global database, a nested dict, a positional list of
eighteen numbers), it is what it should have been, and the docstring says so.
"""
