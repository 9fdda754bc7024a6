"""HTTP in, jobs out: the native API, OpenAI's and AUTOMATIC1111's. No model is held here."""
