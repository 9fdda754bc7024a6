"""What a picture is worth: pictures and their prompts in, scores out; higher is better."""
