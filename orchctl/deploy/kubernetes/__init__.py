"""An upgrade of a database on a claim, through zero replicas: never two writers."""
