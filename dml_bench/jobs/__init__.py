"""A suite on a cluster, or in processes of its own: who makes a run, what it says of itself."""
