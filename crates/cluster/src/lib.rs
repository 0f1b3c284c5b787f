//! Everything that Headgate has to do with a Kubernetes API server: objects watched, statuses and events written, the
//! lease by which one replica leads, and the admission webhook.
//!
//! It decides nothing about routing: what objects mean is compiled elsewhere, and what is told about them here is what
//! compiling said.
