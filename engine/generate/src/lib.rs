//! Seeded Calico logs of a small cluster with planted, listed incidents.
