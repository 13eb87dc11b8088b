"""A server that speaks CMA's wire on this machine: for a first run, for tests and for work without a network.

    __main__      arguments, socket, signals
    app           the routes, and the edge that every request passes: keys, faults, limits, beta header, errors
    agents environments sessions resources events vaults skills files catalog
                  one file a resource: what its routes read, check and write (vaults with credentials; models and
                  Anthropic's own skills in catalog)
    bodies/       the shapes that requests must have; multipart reads uploads, pages reads and answers lists
    store schema  the one SQLite file
    loop          takes in events and drives turns; steps follows a turn's script, journal writes down what happens,
                  answers matches the client's answers to the calls that wait for them
    model         the script that stands in for a model; wishes, examples and tools (real MCP calls) serve it
    sse           who listens to what
    limits faults connections    what flags switch on

It runs no model, no command and opens no file for an agent: what built-in tools answer is made up, and says so. The
one thing it does for real is to call the MCP servers attached to an agent. It listens on 127.0.0.1 only.
"""
