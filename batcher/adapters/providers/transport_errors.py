"""Why a request got no whole answer: aiohttp's exceptions as the product's own error.

Says whether the request may have left this machine, and what to do about a cause that no waiting
mends: a name that does not exist, a certificate that nobody trusts, a proxy that refuses.
"""

from __future__ import annotations

import os
import ssl

import aiohttp

from batcher.adapters.providers.connection import StaleConnection
from batcher.adapters.providers.proxy import Proxy
from batcher.core.errors import TransportError


def transport_error(exc: Exception, host: str, proxy: Proxy | None) -> TransportError:
    """The error that a POST to ``host`` has met; ``proxy`` is what it went through."""
    match exc:
        case StaleConnection():
            message = "the server ends connections, or answers, before it is asked"
            return TransportError("disconnect", message, maybe_billed=False)
        case aiohttp.ConnectionTimeoutError():
            return TransportError("connect", f"no connection to {host} in time", maybe_billed=False)
        case TimeoutError():
            return TransportError("timeout", "no answer in time", maybe_billed=True)
        case aiohttp.ClientConnectorError():
            return _not_connected(exc, host, proxy)
        case aiohttp.ClientHttpProxyError():
            return _refused_by_proxy(exc, proxy)
        case aiohttp.InvalidURL():
            return _never_sent("the address cannot be used", "check --base-url")
        case aiohttp.ClientResponseError():
            return TransportError(
                "disconnect",
                "the answer is not valid HTTP",
                maybe_billed=True,
                lasting=f"what {host} answers is not HTTP, or has headers of over 256 KB: "
                "check --base-url",
            )
        case aiohttp.ClientPayloadError():
            message = "the answer ended before it was complete"
            advice = "see what the server, or a proxy in front of it, does with answers"
            return TransportError(
                "disconnect", message, maybe_billed=True, lasting=f"{message}: {advice}"
            )
    return TransportError(
        "disconnect", f"the connection was lost: {type(exc).__name__}", maybe_billed=True
    )


def _never_sent(message: str, advice: str) -> TransportError:
    return TransportError(
        "connect", message, maybe_billed=False, lasting=f"{message}: {advice}" if advice else ""
    )


def _not_connected(
    exc: aiohttp.ClientConnectorError, host: str, proxy: Proxy | None
) -> TransportError:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return _never_sent(
            f"the certificate of {host} is not trusted ({_of_certificate(exc.certificate_error)})",
            "name a file with the authority that signed it in SSL_CERT_FILE",
        )
    if isinstance(exc, aiohttp.ClientConnectorSSLError):
        return _never_sent(
            f"{host} does not speak TLS ({_of_tls(exc)})",
            "check whether --base-url begins with http:// or https://",
        )
    said = exc.strerror or "refused"
    if isinstance(exc, aiohttp.ClientProxyConnectionError) and proxy is not None:
        return _never_sent(
            f"no connection to the proxy {proxy.address}: {said}",
            f"check {proxy.variable}, or name {host} in NO_PROXY",
        )
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return _never_sent(
            f"the name {exc.host} does not resolve ({said})",
            "check --base-url, and HTTPS_PROXY if this machine needs a proxy",
        )
    if said.startswith("Connect call failed") and exc.errno:  # asyncio's words, with a tuple
        said = os.strerror(exc.errno)
    return _never_sent(f"no connection to {exc.host}:{exc.port}: {said}", "")


def _refused_by_proxy(exc: aiohttp.ClientHttpProxyError, proxy: Proxy | None) -> TransportError:
    """What a proxy answers to CONNECT: a 5xx may pass, since it speaks of what is behind it."""
    address = "" if proxy is None else f" {proxy.address}"
    variable = "HTTPS_PROXY" if proxy is None else proxy.variable
    message = f"the proxy{address} refuses the connection with HTTP {exc.status}"
    if exc.status >= 500:
        return _never_sent(message, "")
    wants = "put user and password into it, as in http://user:password@host:port; "
    return _never_sent(
        message, f"check {variable} ({wants if exc.status == 407 else ''}NO_PROXY names exceptions)"
    )


def _of_certificate(error: Exception) -> str:
    said = getattr(error, "verify_message", "")
    return str(said) or type(error).__name__


def _of_tls(exc: aiohttp.ClientConnectorSSLError) -> str:
    error = exc.os_error
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    return (reason or "handshake failed").lower().replace("_", " ")
