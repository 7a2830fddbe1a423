//! inos-alloc
