//! inos-chunk
