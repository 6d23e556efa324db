"""The command that extracts the sources of single images."""
