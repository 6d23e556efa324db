"""Workers, as processes on this machine or on a cluster, and their log events."""
