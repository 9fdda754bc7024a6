"""What can be said of pictures: things, colours, sentences with claims, and what no model is trained on."""
