"""The stand-alone source finder: thresholds, false discovery rates, shapes, maps and products of single images."""
