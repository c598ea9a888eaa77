//! Examples of each command, for its page of the manual.

/// A command line, and what it does.
type Example = (&'static str, &'static str);

/// Examples of a command like `account create`, and of a few below it; of the program itself for an empty path.
pub fn examples(path: &str) -> impl Iterator<Item = Example> {
    let own = EXAMPLES.iter().copied().filter(move |(line, _)| is_of(line, path));
    let is_overview = path.is_empty();
    own.filter(move |(line, _)| !is_overview || OVERVIEW.iter().any(|start| is_of(line, start)))
}

/// Whether a line calls a command or one below it.
fn is_of(line: &str, path: &str) -> bool {
    let words = line.split(' ').skip(1);
    path.split(' ').filter(|word| !word.is_empty()).zip(words).all(|(wanted, found)| wanted == found)
        && line.split(' ').count() > path.split(' ').filter(|word| !word.is_empty()).count()
}

/// The commands of the program's own page.
const OVERVIEW: [&str; 5] = ["serve", "rehearse", "account create", "status", "watch"];

const EXAMPLES: &[Example] = &[
    ("txtgate serve", "Runs the daemon with ./config.toml or /etc/txtgate/config.toml."),
    (
        "txtgate serve --config /etc/txtgate/config.toml",
        "Runs the daemon with this configuration, as the systemd unit does.",
    ),
    (
        "txtgate rehearse",
        "Shows a validation on the loopback, and the records to add for the zones of the configuration.",
    ),
    ("txtgate rehearse example.com -v", "Does so for a domain, with every question of every vantage point."),
    ("txtgate doctor", "Examines the machine, the daemon and the delegation of the zones."),
    (
        "txtgate doctor example.com --resolver 192.0.2.53",
        "Examines a domain as well, and what this recursive resolver sees of a published value.",
    ),
    (
        "txtgate config check",
        "Says what the daemon would do, and exits with 2 if something in the configuration is wrong.",
    ),
    (
        "txtgate account create example.com",
        "Creates an account, and prints its key, settings of clients, and the CNAME to add.",
    ),
    (
        "txtgate account create example.com --format acme-sh --server https://auth.example.org",
        "Prints the settings of acme.sh.",
    ),
    (
        "txtgate account create bücher.example --allowfrom 192.0.2.0/24",
        "Creates an account for an internationalized name, for clients of one network.",
    ),
    (
        "txtgate account create --from domains.csv --output csv --save credentials.csv",
        "Creates an account for each row, all of them or none.",
    ),
    ("txtgate account list", "Lists the accounts by domain."),
    (
        "txtgate account list --search example",
        "Lists the accounts with this text in their domain, username, label or an alias.",
    ),
    ("txtgate account list --state active --sort last_update --limit 20", "Lists the 20 accounts that published last."),
    ("txtgate account list --overdue", "Lists the accounts that have not renewed in their usual time."),
    ("txtgate account show example.com", "Shows the account for a domain, with its names and live values."),
    (
        "txtgate account edit example.com --allowfrom 192.0.2.0/24 --allowfrom 2001:db8::/32",
        "Lets the account be used from two networks alone.",
    ),
    ("txtgate account rotate example.com --grace 1h", "Prints a new key; the old one works for an hour more."),
    ("txtgate account add-subdomain example.com", "Gives the account another name, and prints it."),
    ("txtgate account remove-subdomain example.com shop", "Takes the name of this label away, with its values."),
    ("txtgate account grant example.com _acme-challenge.example.com", "Gives the account a whole challenge zone."),
    ("txtgate account revoke example.com _acme-challenge.example.com", "Takes the zone away again."),
    (
        "txtgate account alias add example.com _acme-challenge.example.com",
        "Lets clients that do not follow CNAMEs name the challenge itself.",
    ),
    ("txtgate account alias remove example.com _acme-challenge.example.com", "Removes the alias."),
    ("txtgate account tsig create example.com", "Prints a key for DNS UPDATE, in the form of nsupdate -k."),
    ("txtgate account tsig delete example.com", "Removes that key."),
    ("txtgate account disable example.com", "Stops an account: its key is refused, and its names have no data."),
    ("txtgate account enable example.com", "Lets the account work again, also a deleted one."),
    ("txtgate account delete example.com", "Stops the account, and removes it after 30 days."),
    ("txtgate account delete example.com --now", "Removes the account at once and for good."),
    (
        "txtgate enrol create --count 20 --lifetime 30d --note web-servers",
        "Prints a token with which 20 accounts may be registered.",
    ),
    (
        "txtgate admin token create --scope read --lifetime 12h --note laptop",
        "Prints a token with which the commands work from another machine.",
    ),
    ("txtgate admin token list", "Lists the tokens, and until when they are valid."),
    ("txtgate admin token revoke 3", "Ends a token."),
    ("txtgate console login", "Prints a link that signs one browser in to the web console."),
    ("txtgate console login --scope read", "The same, for a session that may look and change nothing."),
    ("txtgate export --format txtgate accounts.jsonl", "Writes the accounts for another txtgate."),
    ("txtgate import txtgate accounts.jsonl --dry-run", "Shows what an import would do."),
    ("txtgate enrol list", "Lists the tokens, and how often they were used."),
    ("txtgate enrol revoke 3", "Ends a token."),
    (
        "txtgate txt publish example.com LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
        "Publishes the value of a challenge.",
    ),
    ("txtgate txt list", "Lists the live values of all names."),
    ("txtgate txt list example.com", "Lists the live values of one account."),
    ("txtgate txt retire example.com", "Retires all values of an account with one name."),
    (
        "txtgate persist publish example.com 'letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/1' --lifetime 90d",
        "Lets an ACME account get certificates for 90 days.",
    ),
    ("txtgate persist list", "Lists the persistent authorizations."),
    ("txtgate persist retire example.com", "Retires those of an account."),
    ("txtgate acme directory", "Prints what the CA offers: its terms, its names for CAA records, and its profiles."),
    ("txtgate acme account show", "Shows the daemon's account with the CA."),
    ("txtgate acme account rollover", "Gives the account a new key."),
    ("txtgate acme account update-contact", "Sends the contacts of the configuration to the CA."),
    ("txtgate acme account deactivate --yes", "Ends the account for good."),
    (
        "txtgate cert issue example.com '*.example.com'",
        "Gets a certificate for a domain and its subdomains, and keeps it renewed.",
    ),
    (
        "txtgate cert issue www.example.com -- /usr/bin/systemctl reload nginx",
        "Gets a certificate, and reloads a server with each new one.",
    ),
    ("txtgate cert list", "Lists the certificates, and what is wrong with them."),
    ("txtgate cert show example.com", "Shows one certificate, with the progress of its names."),
    ("txtgate cert renew example.com", "Gets another certificate now, or tries again what has failed."),
    ("txtgate cert revoke example.com --reason key-compromise", "Revokes a certificate whose key is known to others."),
    ("txtgate cert delete example.com", "Forgets a certificate, and deletes its files."),
    ("txtgate dnssec init auth.example.org", "Makes a zone's key, and says what the parent needs and when."),
    ("txtgate dnssec status", "Shows the state of all zones, and the next steps."),
    ("txtgate dnssec status auth.example.org", "Shows the state of one zone."),
    ("txtgate dnssec ds auth.example.org", "Prints the DS record for the parent."),
    (
        "txtgate dnssec rollover auth.example.org --parent 192.0.2.53",
        "Takes the next step of a key's replacement, once the parent is ready for it.",
    ),
    ("txtgate dnssec remove auth.example.org", "Takes the next step towards an unsigned zone."),
    ("txtgate dnssec trust-clock", "Declares that the machine's clock is right now, and was ahead before."),
    ("txtgate notify test", "Sends a test message over every channel of the configuration."),
    ("txtgate status", "Shows how the running daemon is: problems first, and what to do about them."),
    ("txtgate status --json", "Prints the same for scripts."),
    ("txtgate queries example.com", "Shows who has asked for an account's names, and what each got."),
    ("txtgate queries example.com --follow", "The same, and goes on with queries as they arrive."),
    ("txtgate watch example.com", "Shows the queries for an account's name while a CA validates."),
    ("txtgate watch .", "Shows all queries."),
    ("txtgate backup /var/backups/txtgate.db", "Copies the database while the daemon runs."),
    ("txtgate restore /var/backups/txtgate.db", "Puts the copy in place; the daemon must be stopped."),
    ("txtgate hook register example.com", "Registers an account for a domain, as users do before they start a client."),
    (
        "txtgate hook deploy_challenge example.com token LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
        "Publishes a value, as dehydrated calls it.",
    ),
    ("txtgate import acme-dns --dry-run", "Shows what would be taken over from acme-dns."),
    (
        "txtgate import acme-dns --config /etc/acme-dns/config.cfg",
        "Takes over the accounts, keys, values and settings of acme-dns.",
    ),
    ("txtgate export --format acme-dns /var/tmp/acme-dns.db", "Writes the accounts for acme-dns."),
    ("txtgate secret", "Prints a registration secret, and its hash for the configuration."),
    ("txtgate completions bash", "Prints the completion script of bash."),
    ("txtgate man --output /usr/local/share/man", "Writes all pages of the manual."),
];
