//! Tunnels, containers and proxies between the browser and the server: who comes in, and who still does not.

use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

fn config(public: &[&str], trust_forwarded: bool, base_path: &str) -> GuardConfig {
    GuardConfig {
        public: public.iter().map(|url| url.parse().unwrap()).collect(),
        trust_forwarded,
        base_path: super::super::base_path(base_path).unwrap(),
        ..GuardConfig::new(HOST.parse().unwrap(), None)
    }
}

async fn site(config: GuardConfig) -> Site {
    Site::guarded(config, |_| ()).await
}

/// Whether a page's button is let in; `headers` are what the proxy passes on.
async fn lets_in(site: &Site, headers: &[(&str, &str)]) -> bool {
    let headers = [&[FORM], headers].concat();
    let answer = site.send(request(Method::POST, "/studies/check", &headers, "toml=x")).await;
    assert!(!answer.status.is_server_error(), "{}", answer.text);
    answer.status != StatusCode::FORBIDDEN
}

#[tokio::test]
async fn a_button_is_let_in_through_another_local_port() {
    let site = site(config(&[], false, "")).await;
    for host in ["localhost:9000", "127.0.0.1:9000", "[::1]:9000"] {
        let origin = format!("http://{host}");
        assert!(lets_in(&site, &[("host", host), ("origin", &origin)]).await, "{host}");
        assert!(
            lets_in(&site, &[("origin", &origin), SAME]).await,
            "{host}, of which the proxy says nothing"
        );
    }
    let others = [
        vec![("origin", "http://localhost:9000")],
        vec![("origin", "http://localhost:9000"), ("sec-fetch-site", "same-site")],
        vec![("origin", "http://localhost:9000"), ("sec-fetch-site", "cross-site")],
        vec![("origin", "http://evil.example"), SAME],
        vec![("origin", "http://evil.example:8787"), ("host", "evil.example:8787"), SAME],
        vec![("origin", "null"), SAME],
        vec![("origin", "http://localhost.evil.example"), SAME],
        // Nobody was asked to believe this one.
        vec![("origin", "http://evil.example"), ("x-forwarded-host", "evil.example")],
        vec![("origin", "https://umbra.example"), ("x-forwarded-host", "umbra.example"), SAME],
    ];
    for headers in others {
        assert!(!lets_in(&site, &headers).await, "{headers:?}");
    }
}

#[tokio::test]
async fn a_named_address_is_ours_with_or_without_its_usual_port() {
    let site = site(config(&["https://umbra.example", "gpubox.lan"], false, "")).await;
    let origin = ("origin", "https://umbra.example");
    for host in ["umbra.example", "umbra.example:443", "UMBRA.example:80", HOST] {
        assert!(lets_in(&site, &[("host", host), origin, SAME]).await, "{host}");
        assert!(lets_in(&site, &[("host", host), origin]).await, "{host}, in an older browser");
    }
    assert!(lets_in(&site, &[("host", "gpubox.lan:8787"), ("origin", "http://gpubox.lan:8787")]).await);
    let others = [
        [("host", "umbra.example"), ("origin", "https://evil.example")],
        [("host", "umbra.example:8443"), ("origin", "https://umbra.example:8443")],
        [
            ("host", "umbra.example.evil.example"),
            ("origin", "http://umbra.example.evil.example"),
        ],
        [("host", HOST), ("origin", "http://umbra.example")],
        [("host", "umbra.example"), ("sec-fetch-site", "cross-site")],
        [("host", "umbra.example"), ("sec-fetch-site", "same-site")],
        [("host", "evil.example"), SAME],
    ];
    for headers in others {
        assert!(!lets_in(&site, &headers).await, "{headers:?}");
    }
    let refused = site.send(request(Method::GET, "/", &[("host", "other.example")], "")).await;
    refused.has(&["other.example", "--public-url other.example"]);
}

#[tokio::test]
async fn the_word_of_a_proxy_is_taken_where_that_is_asked_for() {
    let trusting = site(config(&[], true, "")).await;
    let page = ("origin", "https://umbra.example");
    assert!(lets_in(&trusting, &[("x-forwarded-host", "umbra.example"), page]).await);
    assert!(lets_in(&trusting, &[("x-forwarded-host", "umbra.example:443, inner"), page, SAME]).await);
    let others = [
        vec![("x-forwarded-host", "umbra.example"), ("origin", "https://evil.example")],
        vec![("x-forwarded-host", "umbra.example"), page, ("sec-fetch-site", "cross-site")],
        vec![("x-forwarded-host", "a b"), page],
        // A rebound name writes what it likes into other headers, but not into its Host.
        vec![("host", "evil.example:8787"), ("x-forwarded-host", "localhost")],
    ];
    for headers in others {
        assert!(!lets_in(&trusting, &headers).await, "{headers:?}");
    }
    let naming = site(config(&["umbra.example"], true, "")).await;
    assert!(lets_in(&naming, &[("x-forwarded-host", "umbra.example"), page]).await);
    assert!(!lets_in(&naming, &[("x-forwarded-host", "evil.example"), ("origin", "http://evil.example")]).await);
}

#[tokio::test]
async fn behind_a_token_on_every_address_a_proxy_may_ask_under_its_own_host() {
    let token = Some("open sesame".to_owned());
    let site = site(GuardConfig::new("0.0.0.0:8787".parse().unwrap(), token)).await;
    let bearer = ("authorization", "Bearer open sesame");
    let page = ("origin", "https://umbra.example");
    for host in ["umbra.example", "umbra.example:443", "10.0.0.3:8787"] {
        assert!(lets_in(&site, &[("host", host), page, SAME, bearer]).await, "{host}");
    }
    assert!(!lets_in(&site, &[("host", "10.0.0.3:8787"), page, bearer]).await);
    assert!(!lets_in(&site, &[("host", "umbra.example"), ("origin", "https://evil.example"), bearer]).await);
    assert!(!lets_in(&site, &[("host", "umbra.example"), page, ("sec-fetch-site", "cross-site"), bearer]).await);
}

#[tokio::test]
async fn the_session_is_never_sent_in_the_open_where_the_browser_asks_through_tls() {
    let cookie = async |config: GuardConfig, headers: &[(&str, &str)]| {
        let token = Some("open sesame".to_owned());
        let site = site(GuardConfig { token, ..config }).await;
        let headers = [&[FORM], headers].concat();
        let answer = site.send(request(Method::POST, "/login", &headers, "token=open+sesame")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{headers:?}: {}", answer.text);
        answer.header("set-cookie").to_owned()
    };
    let proto = ("x-forwarded-proto", "https");
    let secure = [
        cookie(config(&[], true, ""), &[proto]).await,
        cookie(
            config(&[], false, ""),
            &[("host", "localhost:9000"), ("origin", "https://localhost:9000")],
        )
        .await,
        cookie(config(&["https://umbra.example"], false, ""), &[("host", "umbra.example")]).await,
    ];
    for cookie in secure {
        assert!(cookie.ends_with("; Secure"), "{cookie}");
    }
    let open = [
        cookie(config(&[], false, ""), &[proto]).await,
        cookie(config(&[], true, ""), &[("x-forwarded-proto", "http")]).await,
        cookie(config(&["https://umbra.example"], false, ""), &[]).await,
        cookie(
            config(&["umbra.example"], false, ""),
            &[("host", "umbra.example"), ("origin", "http://umbra.example")],
        )
        .await,
    ];
    for cookie in open {
        assert!(!cookie.contains("Secure"), "{cookie}");
    }
    let below = cookie(config(&[], false, "/umbra"), &[]).await;
    assert!(below.contains("; Path=/umbra;"), "{below}");
}

#[tokio::test]
async fn pages_stand_below_a_path_whether_the_proxy_takes_it_away_or_not() {
    let site = site(config(&[], false, "/umbra")).await;
    for page in ["/runs", "/static/umbra", "/live"] {
        assert!(super::super::base_path(page).is_err(), "{page}");
    }
    for path in ["/umbra", "/umbra/", "/"] {
        let page = site.page(path).await;
        page.has(&[
            "href=\"/umbra/\"",
            "href=\"/umbra/runs\"",
            "src=\"/umbra/static/umbra.js?v=",
            "action=\"/umbra/studies/",
        ]);
        for attribute in [" href", " src", " action", " formaction"] {
            let beginning = format!("{attribute}=\"/");
            for address in page.text.split(&beginning).skip(1) {
                assert!(address.starts_with("umbra/"), "{attribute}=/{}", address.split('"').next().unwrap());
            }
        }
    }
    let style = site.page("/umbra/static/umbra.css").await;
    assert!(style.header("content-type").starts_with("text/css"));
    assert_eq!(site.get("/umbra/no/such/page").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/umbrage").await.status, StatusCode::NOT_FOUND);
    assert!(site.page("/umbra/api/v1/runs").await.header("content-type").contains("json"));
    let foreign = site.send(request(Method::GET, "/umbra/", &[("host", "evil.example")], "")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let queued = site.post("/umbra/plan", "scale=smoke&study=mae-vs-scratch").await;
    assert!(
        queued.header("location").starts_with("/umbra/plan?"),
        "{} {}",
        queued.status,
        queued.text
    );
}

#[tokio::test]
async fn a_page_below_a_path_leads_to_the_login_there() {
    let token = Some("open sesame".to_owned());
    let site = site(GuardConfig {
        token,
        ..config(&[], false, "/umbra")
    })
    .await;
    let opened = site
        .send(request(Method::GET, "/umbra/queue", &[("accept", "text/html")], ""))
        .await;
    assert_eq!(opened.header("location"), "/umbra/login?next=%2Fqueue");
    let headers = [FORM, ("origin", "http://127.0.0.1:8787"), SAME];
    let entered = site
        .send(request(Method::POST, "/umbra/login", &headers, "token=open+sesame&next=/queue"))
        .await;
    assert_eq!(entered.header("location"), "/umbra/queue");
}

#[tokio::test]
async fn a_proxy_does_not_hold_the_live_stream_back() {
    let site = site(config(&[], false, "")).await;
    let response = site.router.clone().oneshot(request(Method::GET, "/live", &[], "")).await.unwrap();
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
}
