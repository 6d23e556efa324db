"""How much light curves vary: figures of a source, of a spectrum, and of the sky as a whole."""
