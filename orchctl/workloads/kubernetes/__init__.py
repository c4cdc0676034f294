"""Workloads of a Kubernetes cluster: Deployments, StatefulSets, DaemonSets and pods."""
