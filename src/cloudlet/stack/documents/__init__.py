"""Documents beside the file that say what requests look like: JSON Schemas and OpenAPI 3.1. Read by `cloudlet check`,
which says what is wrong with them, and by the gateway service, which checks requests by them."""

from cloudlet.stack.documents.files import files
from cloudlet.stack.documents.problems import openapi_problem, schema_problem

__all__ = ["files", "openapi_problem", "schema_problem"]
