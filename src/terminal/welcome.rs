//! The welcome text of a terminal: how others join, who can join, and how to get help.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The lines after `listening on`. The program listens on `address`; others reach it at `reachable`, which is
/// `None` without a network. A user who named peers needs no advice on how others join.
#[must_use]
pub fn lines(address: SocketAddr, reachable: Option<IpAddr>, names_peers: bool) -> Vec<String> {
    let (port, mut lines) = (address.port(), Vec::new());
    if !names_peers {
        let title = match reachable {
            None => "there is no network; others join on this machine with:",
            Some(ip) if ip.is_loopback() => "others join on this machine with:",
            Some(ip) if is_of_a_local_network(ip) => "others in this network join with:",
            Some(_) => "others join with:",
        };
        // In a row of its own, the command can be copied and is not wrapped on a narrow screen.
        let ip = reachable.unwrap_or(Ipv4Addr::LOCALHOST.into());
        lines.extend([title.to_owned(), format!("  {}", command(ip, port))]);
        if reachable.is_some_and(is_of_a_local_network) {
            lines.push(format!(
                "from elsewhere: forward port {port} on your router, tell your public address"
            ));
        }
    }
    let warning = if address.ip().is_loopback() { "" } else { "anybody who reaches the port can join; " };
    lines.push(format!("{warning}/help lists commands, Ctrl+D leaves"));
    lines
}

/// The lines after `listening on` in a private group. `invite` is shown if it is a new group.
#[must_use]
pub fn private_lines(invite: Option<&str>) -> Vec<String> {
    match invite {
        Some(invite) => vec![
            "anyone with this invite can join and read; /invite shows it again:".to_owned(),
            format!("  {invite}"),
            "/help lists commands, Ctrl+D leaves".to_owned(),
        ],
        None => vec!["/invite shows the invite; /help lists commands, Ctrl+D leaves".to_owned()],
    }
}

/// The command that joins. A bare port is dialled at both loopback addresses.
fn command(ip: IpAddr, port: u16) -> String {
    match ip {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => format!("groupchat 0 {port}"),
        IpAddr::V6(ip) if ip.is_loopback() => format!("groupchat 0 {port}"),
        _ => format!("groupchat 0 {}", SocketAddr::new(ip, port)),
    }
}

/// Whether an address is valid only within its own network: addresses for private use, links, carriers,
/// tests and documentation (RFC 1918, 3849, 3927, 4193, 4291, 5737, 2544, 6598).
fn is_of_a_local_network(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_of_a_carrier = first == 100 && second & 0xc0 == 64;
            let is_of_a_test = first == 198 && second & 0xfe == 18;
            ip.is_private() || ip.is_link_local() || ip.is_documentation() || is_of_a_carrier || is_of_a_test
        }
        IpAddr::V6(ip) => {
            let is_of_documentation = ip.segments()[..2] == [0x2001, 0xdb8];
            ip.is_unique_local() || ip.is_unicast_link_local() || is_of_documentation
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "/help lists commands, Ctrl+D leaves";
    const WARNING: &str = "anybody who reaches the port can join; /help lists commands, Ctrl+D leaves";

    #[track_caller]
    fn check(address: &str, reachable: &str, names_peers: bool, expected: &[&str]) {
        let (address, reachable) = (address.parse().expect("an address"), reachable.parse().ok());
        assert_eq!(lines(address, reachable, names_peers), expected, "{address} {reachable:?}");
    }

    #[test]
    fn the_first_screen_shows_how_others_join_and_who_can() {
        let network = "others in this network join with:";
        let elsewhere = "from elsewhere: forward port 5000 on your router, tell your public address";
        check(
            "[::]:5000",
            "192.168.1.7",
            false,
            &[network, "  groupchat 0 192.168.1.7:5000", elsewhere, WARNING],
        );
        check("[::]:5000", "fd00::2", false, &[network, "  groupchat 0 [fd00::2]:5000", elsewhere, WARNING]);
        let others = "others join with:";
        check("[::]:5000", "2a00::7", false, &[others, "  groupchat 0 [2a00::7]:5000", WARNING]);
        check("93.184.0.1:80", "93.184.0.1", false, &[others, "  groupchat 0 93.184.0.1:80", WARNING]);
        let none = "there is no network; others join on this machine with:";
        check("0.0.0.0:5000", "none", false, &[none, "  groupchat 0 5000", WARNING]);
        let machine = "others join on this machine with:";
        check("127.0.0.1:5000", "127.0.0.1", false, &[machine, "  groupchat 0 5000", HELP]);
        check("[::1]:5000", "::1", false, &[machine, "  groupchat 0 5000", HELP]);
        check("127.0.0.2:5000", "127.0.0.2", false, &[machine, "  groupchat 0 127.0.0.2:5000", HELP]);
        check("[::]:5000", "192.168.1.7", true, &[WARNING]);
        check("127.0.0.1:5000", "127.0.0.1", true, &[HELP]);
    }

    #[test]
    fn it_fits_a_window_of_80_columns_and_24_rows_and_one_of_40_and_10() {
        let (address, ip) = ("[::]:65535".parse().expect("an address"), "192.168.100.200".parse().ok());
        let lines = lines(address, ip, false);
        assert!(lines.len() <= 4 && lines.iter().all(|line| line.len() < 80), "{lines:?}");
    }

    #[test]
    fn addresses_of_local_networks_are_known() {
        for (ip, is_local) in [
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.0.1", true),
            ("192.169.0.1", false),
            ("169.254.1.1", true),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("192.0.2.2", true),
            ("198.17.0.1", false),
            ("198.18.0.1", true),
            ("8.8.8.8", false),
            ("fd00::2", true),
            ("fc00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", true),
            ("2001:4860::1", false),
        ] {
            assert_eq!(is_of_a_local_network(ip.parse().expect("an address")), is_local, "{ip}");
        }
    }
}
