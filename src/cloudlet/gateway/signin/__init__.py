"""Sign-in of browsers: OpenID Connect Core, authorization code with PKCE.

The browser leaves with a session cookie that the edge verifies by itself, so that only signing in and out passes
through here.

    places, cookies, attempt, session, id_token   pure
    provider                                      discovery, keys, the exchange
    flow, signout                                 the three addresses
    install                                       puts them into the gateway service

Not Authlib: its asynchronous clients stand on httpx or on frameworks' sessions, and what remains once joserfc has the
signatures and aiohttp the requests is what this package says in its own words anyhow.
"""
