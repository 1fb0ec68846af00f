"""The default list of hosts that agents may reach, and how a host name is matched against a list."""

from collections.abc import Iterable

# Package registries, code hosts and language tools: hosts that builds fetch from, and that serve little else.
# Anyone with an account there can write to them, so this list limits where an agent can send data; it does
# not prevent it.
TRUSTED_DOMAINS: tuple[str, ...] = (
    # Code hosts
    "github.com",
    "api.github.com",
    "codeload.github.com",
    "gist.github.com",
    "*.githubusercontent.com",
    "ghcr.io",
    "gitlab.com",
    "registry.gitlab.com",
    "bitbucket.org",
    "api.bitbucket.org",
    "codeberg.org",
    # Python
    "pypi.org",
    "files.pythonhosted.org",
    "bootstrap.pypa.io",
    "conda.anaconda.org",
    "repo.anaconda.com",
    # JavaScript
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "nodejs.org",
    "jsr.io",
    "npm.jsr.io",
    "deno.land",
    # Rust
    "crates.io",
    "index.crates.io",
    "static.crates.io",
    "static.rust-lang.org",
    # Go
    "go.dev",
    "golang.org",
    "proxy.golang.org",
    "sum.golang.org",
    "pkg.go.dev",
    # Java
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "services.gradle.org",
    "downloads.gradle.org",
    # Ruby, PHP, .NET, Elixir, Dart, Swift, Haskell
    "rubygems.org",
    "index.rubygems.org",
    "packagist.org",
    "repo.packagist.org",
    "api.nuget.org",
    "www.nuget.org",
    "hex.pm",
    "repo.hex.pm",
    "pub.dev",
    "cdn.cocoapods.org",
    "hackage.haskell.org",
    # Systems
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
    "security.ubuntu.com",
    "ports.ubuntu.com",
    "dl-cdn.alpinelinux.org",
    # Images
    "registry-1.docker.io",
    "auth.docker.io",
    "production.cloudflare.docker.com",
    "mcr.microsoft.com",
)


def covers(domains: Iterable[str], host: str) -> bool:
    """Return whether a list has a host, given in lower case; `*.x.org` stands for all names below `x.org`."""
    return any(
        host == domain or (domain.startswith("*.") and host.endswith(domain[1:]) and len(host) >= len(domain))
        for domain in domains
    )
