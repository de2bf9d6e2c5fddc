//! Text to the world.
