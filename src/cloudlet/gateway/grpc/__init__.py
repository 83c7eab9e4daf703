"""JSON over HTTP for gRPC services: messages are made from descriptors as they are needed, and nothing is generated.

    wire, schema, template, binding, messages, lines, status, metadata   pure
    reflection, channels, calls                                          ask the service
    source                                                               the handler of a route

Needs the extra `grpc`; only `source` is imported from outside, and only when a route asks for it.
"""
