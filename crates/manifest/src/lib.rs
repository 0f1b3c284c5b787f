//! Kubernetes objects from files and folders, watched
