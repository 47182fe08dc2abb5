//! Names and ports: the Host of a request, the Origin of a page, and the addresses under which people reach the server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How a page came over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the open.
    Http,
    /// Through TLS.
    Https,
}

/// `name:port`, as a Host header has it. The ports 80 and 443 may stand or be left out, for proxies do either.
#[derive(Clone, Copy, Debug)]
pub struct HostName<'a> {
    /// The name or IP address, without brackets.
    pub name: &'a str,
    /// The port, if it is said.
    pub port: Option<u16>,
}

impl<'a> HostName<'a> {
    /// `name:port`, `name`, `[v6]:port` or `[v6]`.
    pub fn read(host: &'a str) -> Option<HostName<'a>> {
        let (name, rest) = match host.strip_prefix('[') {
            Some(bracketed) => bracketed
                .split_once(']')
                .filter(|(name, _)| name.parse::<std::net::Ipv6Addr>().is_ok())?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        match rest.strip_prefix(':') {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(HostName {
                name,
                port: Some(port.parse().ok()?),
            }),
            None if rest.is_empty() => Some(HostName { name, port: None }),
            _ => None,
        }
    }

    /// Whether only this machine has the name. No other site can be reached under it, so none can be behind it.
    pub fn is_loopback(&self) -> bool {
        match self.name.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => self.name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether both name the same.
    pub fn is_same(&self, other: &HostName<'_>) -> bool {
        self.name.eq_ignore_ascii_case(other.name) && unusual(self.port) == unusual(other.port)
    }
}

/// The port unless it is one that browsers leave out.
fn unusual(port: Option<u16>) -> Option<u16> {
    port.filter(|port| !matches!(port, 80 | 443))
}

/// The scheme and the host of an Origin header; `null` and other schemes are none.
pub fn origin(text: &str) -> Option<(Scheme, HostName<'_>)> {
    let (scheme, host) = split_scheme(text);
    Some((scheme?, HostName::read(host)?))
}

fn split_scheme(text: &str) -> (Option<Scheme>, &str) {
    for (scheme, prefix) in [(Scheme::Http, "http://"), (Scheme::Https, "https://")] {
        if let Some((head, rest)) = text.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            return (Some(scheme), rest);
        }
    }
    (None, text)
}

/// An address under which people reach the server, such as `https://umbra.example`; without a scheme it stands for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: Option<Scheme>,
    host: String,
}

impl PublicUrl {
    /// Whether it is the address of that host, under that scheme where it is known. `listen` is the port that the server has.
    pub fn names(&self, host: &HostName<'_>, scheme: Option<Scheme>, listen: u16) -> bool {
        let differs = |(one, other): (Scheme, Scheme)| one != other;
        let Some(own) = HostName::read(&self.host).filter(|_| !self.scheme.zip(scheme).is_some_and(differs)) else {
            return false;
        };
        // Where only a name is said, the server is also reached without a proxy.
        let direct = own.port.is_none() && self.scheme.is_none() && host.port == Some(listen) && own.name.eq_ignore_ascii_case(host.name);
        direct || own.is_same(host)
    }

    /// Whether people reach it through TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Some(Scheme::Https)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = split_scheme(text.trim());
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains('/') {
            return Err(format!("`{text}` has a path: say the path with --base-path"));
        }
        match HostName::read(host) {
            Some(_) => Ok(PublicUrl {
                scheme,
                host: host.to_owned(),
            }),
            None => Err(format!(
                "`{text}` is not an address: it must look like https://umbra.example, umbra.example or umbra.example:8443"
            )),
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str, host: &str, scheme: Option<Scheme>) -> bool {
        let url: PublicUrl = url.parse().unwrap();
        url.names(&HostName::read(host).unwrap(), scheme, 8787)
    }

    #[test]
    fn the_usual_ports_may_stand_or_be_left_out_and_others_may_not() {
        for host in ["umbra.example", "UMBRA.example:443", "umbra.example:80"] {
            assert!(names("https://umbra.example", host, None), "{host}");
            assert!(names("https://umbra.example:443/", host, Some(Scheme::Https)), "{host}");
        }
        assert!(names("umbra.example", "umbra.example:8787", None), "without a proxy");
        assert!(names("umbra.example:8443", "umbra.example:8443", Some(Scheme::Https)));
        for host in [
            "umbra.example:8787",
            "umbra.example:8443",
            "evil.example",
            "umbra.example.evil.example",
        ] {
            assert!(!names("https://umbra.example", host, None), "{host}");
        }
        assert!(!names("https://umbra.example", "umbra.example", Some(Scheme::Http)));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "https://",
            "https://a b",
            "ftp://a",
            "a:b",
            "https://a/umbra",
            "*.example",
            "a@b",
            "http://[::1",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
        for bad in ["null", "file://", "umbra.example", "http://a/", "chrome-extension://a"] {
            assert!(origin(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn loopback_names_are_those_of_this_machine_alone() {
        for host in ["localhost:9000", "LOCALHOST", "127.0.0.5:1", "[::1]:9000"] {
            assert!(HostName::read(host).unwrap().is_loopback(), "{host}");
        }
        for host in [
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "0.0.0.0:8787",
            "10.0.0.1",
            "[fc00::1]",
        ] {
            assert!(!HostName::read(host).unwrap().is_loopback(), "{host}");
        }
    }
}
