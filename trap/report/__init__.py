"""What people read: text, figures and exports. Arrays in, text and figures out; no database here."""
