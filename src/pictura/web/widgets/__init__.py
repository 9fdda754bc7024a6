"""Parts of pages that live in the browser: a wall of pictures, two pictures to choose from, a mask."""
