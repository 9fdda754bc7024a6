"""`python -m pictura.cli`, and so `torchrun -m pictura.cli train …`."""

from pictura.cli import main

if __name__ == "__main__":
    main()
