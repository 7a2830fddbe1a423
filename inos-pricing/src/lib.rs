//! inos-pricing
