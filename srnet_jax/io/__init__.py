"""Write files whole or not at all, and read untrusted files safely."""
