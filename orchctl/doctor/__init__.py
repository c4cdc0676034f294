"""What is wrong with a database, its place, its chain, its snapshots and its workload."""
