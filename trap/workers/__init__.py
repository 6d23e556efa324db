"""Who does the work of an image: worker processes here or on a cluster, and what they say."""
