"""The source finder on its own: thresholds, false discovery rate, shapes, maps and products of single images."""
