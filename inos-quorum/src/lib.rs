//! inos-quorum
