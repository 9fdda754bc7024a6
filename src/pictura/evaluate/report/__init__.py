"""What people look at: an evaluation in, a page with plots and pictures and one to check by hand out."""
