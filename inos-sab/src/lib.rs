//! inos-sab
