use super::*;

fn ask_of(responder: &Responder, name: &str) {
    responder.respond(&query(name, 16), source(Transport::Tcp), &mut Vec::new()).replied().unwrap();
}

#[tokio::test]
async fn a_watch_sees_its_name_and_nothing_else() {
    let responder = responder();
    let mut watch = responder.watchers.watch(name("shop.auth.example.org")).unwrap();
    ask_of(&responder, "empty.auth.example.org");
    ask_of(&responder, "SHOP.auth.example.org");
    let sighting = watch.next().await.unwrap();
    assert_eq!(sighting.name, name("shop.auth.example.org"));
    assert_eq!((sighting.rtype, sighting.rcode), (RecordType::TXT, ResponseCode::NoError));
    assert_eq!(sighting.values, [value('n', true).txt.to_string(), value('o', true).txt.to_string()]);
    assert_eq!(sighting.source, source(Transport::Tcp));
}

#[tokio::test]
async fn watchers_are_few_their_queues_short_and_they_leave() {
    let responder = responder();
    let mut watches: Vec<_> = (0..16).map(|_| responder.watchers.watch(name(APEX)).unwrap()).collect();
    assert!(responder.watchers.watch(name(APEX)).is_err());
    for _ in 0..3_000 {
        ask_of(&responder, "shop.auth.example.org");
    }
    let mut seen = 0;
    while tokio::time::timeout(std::time::Duration::from_millis(50), watches[0].next()).await.is_ok() {
        seen += 1;
    }
    assert_eq!(seen, 1_024);
    drop(watches);
    assert!(!responder.watchers.are_there());
    assert!(responder.watchers.watch(name(APEX)).is_ok());
}
