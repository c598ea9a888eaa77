//! Targets of CNAMEs that were written without a closing dot, so that the zone of the record stands at their end.

use crate::model::name::Name;

/// What was meant by the target of a CNAME at `at`, if the target is a name for which `is_own` holds, with the zone of the
/// record behind it.
pub fn meant_by(target: &Name, at: &Name, is_own: impl Fn(&Name) -> bool) -> Option<Name> {
    let mut zone = at.parent();
    while let Some(above) = zone.filter(|zone| *zone != Name::root()) {
        if let Some(meant) = without_suffix(target, &above).filter(|meant| is_own(meant)) {
            return Some(meant);
        }
        zone = above.parent();
    }
    None
}

/// A name without the zone at its end.
fn without_suffix(name: &Name, zone: &Name) -> Option<Name> {
    name.as_ref().below(zone.as_ref())?;
    let labels = name.as_wire().get(..name.as_wire().len().checked_sub(zone.as_wire().len())?)?;
    Name::from_wire(&[labels, &[0]].concat()).ok().filter(|name| *name != Name::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_stands_before_the_zone_of_the_record() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let meant = |target: &str, at: &str| {
            meant_by(&name(target), &name(at), |meant| meant.is_in(&name("auth.example.org")))
                .map(|meant| meant.to_string())
        };
        let at = "_acme-challenge.www.example.com";
        assert_eq!(meant("x.auth.example.org.example.com", at).as_deref(), Some("x.auth.example.org"));
        assert_eq!(meant("x.auth.example.org.www.example.com", at).as_deref(), Some("x.auth.example.org"));
        for other in ["x.auth.example.org", "example.com", "x.example.org.example.com", "auth.example.org.example.net"]
        {
            assert_eq!(meant(other, at), None, "{other}");
        }
    }
}
