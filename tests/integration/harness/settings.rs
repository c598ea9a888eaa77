//! Configurations, as text.

/// The zone that the tests' daemons answer for.
pub const ZONE: &str = "auth.example.org";

/// A configuration's lines by table.
#[derive(Clone)]
pub struct Settings {
    top: String,
    tables: Vec<(&'static str, String)>,
    nameservers: Vec<String>,
    zone: String,
    records: String,
    more: String,
}

impl Default for Settings {
    /// All sockets on free ports of 127.0.0.1, one zone.
    fn default() -> Self {
        let listen = "listen = [\"127.0.0.1:0\"]\n";
        Self {
            top: String::new(),
            tables: vec![
                ("log", "level = \"debug\"\n".into()),
                ("dns", format!("{listen}threads = 2\n")),
                ("api", listen.into()),
                ("api.tls", String::new()),
                ("acme", String::new()),
                ("metrics", listen.into()),
                ("values", String::new()),
                // A daemon that listens on all addresses would ask the servers of the public root.
                ("doctor", "at-start = false\n".into()),
            ],
            nameservers: vec![format!("ns1.{ZONE}")],
            zone: String::new(),
            records: "ns1 A 127.0.0.1\n".into(),
            more: String::new(),
        }
    }
}

impl Settings {
    /// Adds lines to a table.
    pub fn with(mut self, table: &'static str, lines: &str) -> Self {
        if !self.tables.iter().any(|(name, _)| *name == table) {
            self.tables.push((table, String::new()));
        }
        let found = self.tables.iter_mut().find(|(name, _)| *name == table).expect("added above");
        // A line in place of an earlier one for the same key.
        for line in lines.lines() {
            let key = line.split('=').next().unwrap_or_default().trim().to_owned();
            let keep = |old: &&str| old.split('=').next().unwrap_or_default().trim() != key;
            found.1 = found.1.lines().filter(keep).map(|old| format!("{old}\n")).collect();
            found.1.push_str(&format!("{line}\n"));
        }
        self
    }

    /// Adds lines before the first table.
    pub fn top(mut self, lines: &str) -> Self {
        self.top.push_str(&format!("{lines}\n"));
        self
    }

    /// Adds lines to the zone.
    pub fn zone(mut self, lines: &str) -> Self {
        self.zone.push_str(&format!("{lines}\n"));
        self
    }

    /// Adds static records to the zone.
    pub fn records(mut self, lines: &str) -> Self {
        self.records.push_str(&format!("{lines}\n"));
        self
    }

    /// Puts nameservers in place of `ns1` of the zone.
    pub fn nameservers(mut self, names: &[&str]) -> Self {
        self.nameservers = names.iter().map(ToString::to_string).collect();
        self
    }

    /// Puts static records in place of those of the zone.
    pub fn own_records(mut self, lines: &str) -> Self {
        self.records = format!("{lines}\n");
        self
    }

    /// Adds whole tables at the end.
    pub fn more(mut self, lines: &str) -> Self {
        self.more.push_str(&format!("{lines}\n"));
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = self.top.clone();
        for (name, lines) in &self.tables {
            text.push_str(&format!("[{name}]\n{lines}"));
        }
        let (ns, zone, records, more) = (&self.nameservers, &self.zone, &self.records, &self.more);
        let contact = "hostmaster@example.org";
        text + &format!(
            "[[zone]]\nname = \"{ZONE}\"\nns = {ns:?}\ncontact = \"{contact}\"\n{zone}records = '''\n{records}'''\n{more}"
        )
    }
}
