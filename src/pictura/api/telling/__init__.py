"""What clients are told: jobs as they go on, pictures, pages of both."""
