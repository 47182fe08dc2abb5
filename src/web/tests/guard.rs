//! The guard, on every route there is.

use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::header::HOST as HOST_HEADER;

use super::*;
use crate::web::routes::routes;

/// Every route with its parts filled in, by both methods, and an address that is no route.
fn all_requests() -> Vec<(Method, String)> {
    let id = find(&smoke_plan(), "mae", Stage::Pretrain).id.to_string();
    let parts = [
        ("{id}", id.as_str()),
        ("{name}", "mae-vs-scratch"),
        ("{step}", "8"),
        ("{file}", "umbra.css"),
        ("{study}", "table1"),
        ("{fingerprint}", "builtin"),
        ("{claim}", "masked-beats-scratch"),
    ];
    let fill = |path: &str| parts.iter().fold(path.to_owned(), |path, (part, text)| path.replace(part, text));
    let paths: Vec<String> = routes()
        .iter()
        .map(|(path, _)| fill(path))
        .chain(["/no/such/route".to_owned()])
        .collect();
    assert!(paths.len() > 30 && paths.iter().all(|path| !path.contains('{')));
    paths
        .into_iter()
        .flat_map(|path| [(Method::GET, path.clone()), (Method::POST, path)])
        .collect()
}

async fn filled(token: Option<&str>) -> Site {
    Site::with_token(token, |dir| drop(fill_study(dir))).await
}

async fn expect(site: &Site, headers: &[(&str, &str)], status: StatusCode) {
    for (method, path) in all_requests() {
        let answer = site.send(request(method.clone(), &path, headers, "")).await;
        assert_eq!(answer.status, status, "{method} {path} with {headers:?}");
        check_headers(&answer, &path);
    }
}

fn check_headers(answer: &Answer, path: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    assert!(
        answer.header("content-security-policy").contains("frame-ancestors 'none'"),
        "{path}"
    );
    assert!(!answer.header("cache-control").is_empty(), "{path}");
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
}

#[tokio::test]
async fn every_route_refuses_a_foreign_host() {
    let site = filled(None).await;
    let hosts = [
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example:8787",
        "10.evil.example:8787",
        "localhost.evil.example",
        "[fc00::1%25evil.example]:8787",
        "[::1]evil:8787",
        "localhost:8787@evil.example",
        "192.168.0.7:8787",
        "0.0.0.0:8787",
        "",
    ];
    for host in hosts {
        expect(&site, &[("host", host)], StatusCode::FORBIDDEN).await;
    }
    let own = ["localhost:8787", "LOCALHOST:8787", "127.0.0.1:8787", "127.0.0.5:8787", "[::1]:8787"];
    // A tunnel or a container has another port on this machine.
    for host in own.into_iter().chain(["localhost:9000", "127.0.0.1", "localhost:80"]) {
        assert_eq!(
            site.send(request(Method::GET, "/", &[("host", host)], "")).await.status,
            StatusCode::OK,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_request_has_one_host_and_no_other_address() {
    let site = Site::new(|_| ()).await;
    let mut twice = request(Method::GET, "/", &[], "");
    twice.headers_mut().append(HOST_HEADER, HOST.parse().unwrap());
    assert_eq!(site.send(twice).await.status, StatusCode::FORBIDDEN);
    let mut none = request(Method::GET, "/", &[], "");
    none.headers_mut().remove(HOST_HEADER);
    assert_eq!(site.send(none).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        site.send(request(Method::GET, "http://evil.example/", &[], "")).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn every_route_refuses_requests_that_another_site_makes() {
    let site = filled(None).await;
    let foreign = [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:9999"),
        ("origin", "http://127.0.0.1:8787.evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for header in foreign {
        expect(&site, &[header], StatusCode::FORBIDDEN).await;
    }
    // A link on another site may open a page, but neither embed it nor send a form.
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert_eq!(site.send(request(Method::GET, "/", &link, "")).await.status, StatusCode::OK);
    assert_eq!(
        site.send(request(Method::POST, "/studies/mae-vs-scratch/launch", &link, "scale=smoke"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let frame = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    assert_eq!(site.send(request(Method::GET, "/", &frame, "")).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let site = filled(None).await;
    for (method, path) in all_requests().into_iter().filter(|(_, path)| path != "/live") {
        let answer = site.send(request(method, &path, &[], "")).await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
        check_headers(&answer, &path);
    }
    assert_eq!(site.page("/").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_so_or_not() {
    let site = Site::new(|_| ()).await;
    let large = "x".repeat(crate::web::fields::BODY_LIMIT + 1);
    for path in ["/studies/mae-vs-scratch/launch", "/launch"] {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            site.send(request(Method::POST, path, &headers, &large)).await.status,
            StatusCode::PAYLOAD_TOO_LARGE,
            "{path}"
        );
    }
    let json = format!("\"{large}\"");
    let answer = site
        .send(request(
            Method::POST,
            "/api/v1/launch",
            &[("content-type", "application/json")],
            &json,
        ))
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let declared = [("content-length", "9999999999")];
    assert_eq!(
        site.send(request(Method::POST, "/launch", &declared, "")).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        site.get(&format!("/runs?q={}", "x".repeat(20_000))).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn with_a_token_every_route_but_the_login_asks_for_it() {
    let site = filled(Some("open sesame")).await;
    for (method, path) in all_requests() {
        let answer = site.send(request(method.clone(), &path, &[], "")).await;
        let open = path == "/login" || path.starts_with("/static/");
        assert_eq!(
            answer.status != StatusCode::UNAUTHORIZED,
            open,
            "{method} {path}: {}",
            answer.status
        );
        check_headers(&answer, &path);
    }
    let bearer = |token: &str| format!("Bearer {token}");
    let (right, wrong) = (bearer("open sesame"), bearer("open sesam"));
    assert_eq!(
        site.send(request(Method::GET, "/", &[("authorization", &right)], "")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        site.send(request(Method::GET, "/", &[("authorization", &wrong)], "")).await.status,
        StatusCode::UNAUTHORIZED
    );
    let opened = site
        .send(request(Method::GET, "/runs?state=failed", &[("accept", "text/html")], ""))
        .await;
    assert_eq!(opened.header("location"), "/login?next=%2Fruns%3Fstate%3Dfailed");
}

#[tokio::test]
async fn a_login_gives_a_session_that_is_not_the_token_and_ends_with_the_logout() {
    let site = filled(Some("open sesame")).await;
    let wrong = site.post("/login", "token=nonsense&next=/queue").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    wrong.has(&["wrong token", "value=\"/queue\""]);
    let right = site.post("/login", "token=open+sesame&next=/queue").await;
    assert_eq!((right.status, right.header("location")), (StatusCode::SEE_OTHER, "/queue"));
    let cookie = right.header("set-cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("sesame"),
        "{cookie}"
    );
    let session = cookie.split(';').next().unwrap();
    let queue = async || site.send(request(Method::GET, "/queue", &[("cookie", session)], "")).await;
    let page = queue().await;
    assert_eq!(page.status, StatusCode::OK);
    page.has(&["Log out"]);
    site.send(request(Method::POST, "/logout", &[("cookie", session)], "")).await;
    assert_eq!(queue().await.status, StatusCode::UNAUTHORIZED);
    let made_up = format!("{}=0123", session.split('=').next().unwrap());
    assert_eq!(
        site.send(request(Method::GET, "/queue", &[("cookie", &made_up)], "")).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn guessing_the_token_is_slowed_down() {
    let site = filled(Some("open sesame")).await;
    let mut last = StatusCode::OK;
    for _ in 0..25 {
        last = site.post("/login", "token=guess").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn who_guesses_the_token_holds_nobody_else_up() {
    let site = filled(Some("open sesame")).await;
    let ask = async |from: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let mut asked = request(Method::GET, "/queue", &[("authorization", &bearer)], "");
        asked
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::new(from.parse().unwrap(), 40_000)));
        site.send(asked).await.status
    };
    for _ in 0..20 {
        assert_eq!(ask("10.0.0.66", "guess").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask("10.0.0.66", "open sesame").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("10.0.0.7", "open sesame").await, StatusCode::OK);
    assert_eq!(site.post("/login", "token=open+sesame").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn on_every_address_any_name_is_ours_but_the_token_is_asked_for() {
    let listen = "0.0.0.0:8787".parse().unwrap();
    let site = Site::guarded(GuardConfig::new(listen, Some("open sesame".to_owned())), |_| ()).await;
    let ask = async |host: &str, token: &str| {
        site.send(request(Method::GET, "/", &[("host", host), ("authorization", token)], ""))
            .await
            .status
    };
    for host in ["gpubox.example:8787", "192.168.0.7:8787", "proxy.example"] {
        assert_eq!(ask(host, "Bearer open sesame").await, StatusCode::OK, "{host}");
        assert_eq!(ask(host, "").await, StatusCode::UNAUTHORIZED, "{host}");
    }
    assert_eq!(ask("[::1%25evil]", "Bearer open sesame").await, StatusCode::FORBIDDEN);
    let listen = "192.168.0.7:8787".parse().unwrap();
    let site = Site::guarded(GuardConfig::new(listen, Some("open sesame".to_owned())), |_| ()).await;
    let bearer = ("authorization", "Bearer open sesame");
    for (host, status) in [
        ("192.168.0.7:8787", StatusCode::OK),
        ("192.168.0.8:8787", StatusCode::FORBIDDEN),
        ("gpubox.example:8787", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(
            site.send(request(Method::GET, "/", &[("host", host), bearer], "")).await.status,
            status,
            "{host}"
        );
    }
}
