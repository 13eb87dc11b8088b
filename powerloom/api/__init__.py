"""The REST API: every app's routes under one roof, one error shape, OpenAPI from the code."""
