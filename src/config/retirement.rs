//! `retire-after-networks` and `retire-grace` of `[values]`.

use super::RetireFetched;
use super::file::File;
use super::read::Reader;

/// The fewest networks: one may be the client's own, which looks before it tells the CA.
const LEAST: u64 = 2;
/// The most: no CA validates from more.
const MOST: u64 = 100;

impl Reader<'_> {
    pub(super) fn retire_fetched(&self, file: &File) -> Option<RetireFetched> {
        let grace = self.timeout("values.retire-grace", &file.values.retire_grace);
        let networks = file.values.retire_after_networks;
        if networks == 0 {
            return None;
        }
        let key = "values.retire-after-networks";
        self.in_range(key, networks as u64, LEAST, MOST);
        if !file.querylog.enabled {
            let wanted = "write `enabled = true` in [querylog], or 0 here";
            self.wrong(key, format!("only the query log knows which networks have fetched a value; {wanted}"));
        }
        Some(RetireFetched { networks, grace })
    }
}
