//! [`Http`] over reqwest's own types.
use super::http::{Http, of_answer, of_bad_answer, of_error, of_request};
use crate::{Class, Classify, Inspect, Replay};

impl Inspect<reqwest::Request> for Http {
    fn inspect(&self, request: &reqwest::Request) -> Replay {
        let streams = |body: &reqwest::Body| body.as_bytes().is_none();
        if request.body().is_some_and(streams) {
            Replay::Never
        } else {
            of_request(request.method(), request.headers())
        }
    }
}

impl Classify<reqwest::Response, reqwest::Error> for Http {
    #[inline]
    fn classify(
        &self,
        result: &Result<reqwest::Response, reqwest::Error>,
        replay: Replay,
    ) -> Class {
        match result {
            Ok(answer) => of_answer(answer.status(), answer.headers(), replay),
            Err(e) => of_reqwest(e, replay),
        }
    }
}

#[cold]
fn of_reqwest(error: &reqwest::Error, replay: Replay) -> Class {
    if error.is_builder() {
        return Class::Ignored;
    }
    if error.is_redirect() {
        return Class::Permanent;
    }
    match error.status() {
        // From `error_for_status`, which drops the headers.
        Some(status) => of_bad_answer(status, None, replay),
        None => of_error(error, replay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use std::time::Duration;

    fn request(method: Method) -> reqwest::Request {
        reqwest::Request::new(method, "http://localhost/".parse().unwrap())
    }

    fn answered(status: u16) -> Result<reqwest::Response, reqwest::Error> {
        let answer = http::Response::builder().status(status);
        Ok(answer.header("retry-after", "3").body("").unwrap().into())
    }

    #[test]
    fn a_request_says_whether_it_may_be_repeated() {
        assert_eq!(Http.inspect(&request(Method::GET)), Replay::Always);
        let mut post = request(Method::POST);
        *post.body_mut() = Some("order".into());
        assert_eq!(Http.inspect(&post), Replay::IfUnsent);
        post.headers_mut()
            .insert("idempotency-key", "7f3a".parse().unwrap());
        assert_eq!(Http.inspect(&post), Replay::Always);
    }

    #[test]
    fn an_answer_is_classed_by_its_status_and_headers() {
        let hint = Class::Throttled(Some(Duration::from_secs(3)));
        let table = [
            (204, Class::Success),
            (404, Class::Permanent),
            (429, hint),
            (500, Class::Transient),
            (503, hint),
        ];
        for (status, class) in table {
            assert_eq!(Http.classify(&answered(status), Replay::Always), class);
        }
    }

    #[test]
    fn an_answer_that_was_made_an_error_keeps_its_class_but_for_the_hint() {
        let table = [
            (404, Class::Permanent),
            (429, Class::Throttled(None)),
            (500, Class::Transient),
            (503, Class::Transient),
        ];
        for (status, class) in table {
            let result = answered(status).and_then(reqwest::Response::error_for_status);
            assert!(result.is_err());
            assert_eq!(Http.classify(&result, Replay::Always), class, "{status}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_built_says_nothing_about_anybody() {
        let error = reqwest::Client::new().get("no url").build().unwrap_err();
        let result: Result<reqwest::Response, _> = Err(error);
        assert_eq!(Http.classify(&result, Replay::Always), Class::Ignored);
    }
}
