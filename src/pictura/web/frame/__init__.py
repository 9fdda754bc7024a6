"""What all pages have: the gate, the frame around a page, its parts, the login, the way to pictures."""
