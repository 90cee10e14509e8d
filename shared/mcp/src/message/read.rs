//! Reading a message in one pass.

use super::{
    ID, META_CAPABILITIES, META_CLIENT, META_LOG_LEVEL, META_PROGRESS, META_TRACE, META_VERSION, Message, Meta, Params,
    ResultSpan, Span,
};
use crate::json::{Limits, Refused, Scanner};
use std::borrow::Cow;

impl<'a> Message<'a> {
    /// Reads one message. Whatever is ambiguous or out of bounds is refused here, before anything is decided on it.
    pub fn parse(bytes: &'a [u8], limits: Limits) -> Result<Self, Refused> {
        let mut scanner = Scanner::new(bytes, limits)?;
        match scanner.peek() {
            b'{' => {}
            b'[' => return Err(Refused::Batch),
            _ => return Err(Refused::Envelope("not an object")),
        }
        let (mut version, mut null) = (false, false);
        let mut message =
            Self { text: scanner.text(), id: None, method: None, params: None, result: None, error: None };
        scanner.object(&mut |scanner, key| {
            match &*key {
                "jsonrpc" => version = scanner.value().map(|span| &scanner.text()[span] == "\"2.0\"")?,
                "id" => {
                    message.id = id(scanner)?;
                    null = message.id.is_none();
                }
                "method" => message.method = Some(text(scanner, "method is not a string")?),
                "params" => message.params = Some(params(scanner)?),
                "result" => message.result = Some(result(scanner)?),
                "error" => message.error = Some(scanner.value()?),
                _ => scanner.skip()?,
            }
            Ok(())
        })?;
        scanner.end()?;
        if !version {
            return Err(Refused::Envelope("jsonrpc is not \"2.0\""));
        }
        match (&message.method, message.is_answer()) {
            (Some(_), false) if null => Err(Refused::Envelope("a request's id is null")),
            (Some(_), false) | (None, true) => Ok(message),
            (Some(_), true) => Err(Refused::Envelope("both a request and an answer")),
            (None, false) => Err(Refused::Envelope("neither a request nor an answer")),
        }
    }
}

/// `name` and the JSON text of `arguments` of an object that wraps a call.
pub fn named_arguments(text: &str) -> Result<(Option<Cow<'_, str>>, Option<&str>), Refused> {
    let mut scanner = Scanner::new(text.as_bytes(), Limits::REQUEST)?;
    let (mut name, mut arguments) = (None, None);
    scanner.object(&mut |scanner, key| {
        match &*key {
            "name" => name = Some(self::text(scanner, "name is not a string")?),
            "arguments" if scanner.peek() == b'{' => arguments = Some(scanner.value()?),
            _ => return Err(Refused::Envelope("only a name and an object of arguments are taken")),
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok((name, arguments.map(|span| &text[span])))
}

fn text<'a>(scanner: &mut Scanner<'a>, otherwise: &'static str) -> Result<Cow<'a, str>, Refused> {
    if scanner.peek() != b'"' {
        return Err(Refused::Envelope(otherwise));
    }
    let span = scanner.string()?;
    scanner.unquote(&span)
}

fn id(scanner: &mut Scanner<'_>) -> Result<Option<Span>, Refused> {
    let first = scanner.peek();
    let span = scanner.value()?;
    let text = &scanner.text()[span.clone()];
    match first {
        b'n' => Ok(None),
        b'"' if text.len() <= ID => Ok(Some(span)),
        b'-' | b'0'..=b'9' if text.len() <= 20 && !text.contains(['.', 'e', 'E']) => Ok(Some(span)),
        _ => Err(Refused::Envelope("id is neither a short string nor an integer")),
    }
}

fn params<'a>(scanner: &mut Scanner<'a>) -> Result<Params<'a>, Refused> {
    if scanner.peek() != b'{' {
        return Err(Refused::Envelope("params is not an object"));
    }
    let mut params = Params { empty: true, ..Params::default() };
    let span = scanner.object(&mut |scanner, key| {
        params.empty = false;
        match &*key {
            "name" if scanner.peek() == b'"' => {
                let span = scanner.string()?;
                params.name = Some(scanner.unquote(&span)?);
                params.name_span = Some(span);
            }
            "uri" if scanner.peek() == b'"' => params.uri = Some(text(scanner, "uri is not a string")?),
            "protocolVersion" if scanner.peek() == b'"' => {
                params.protocol_version = Some(text(scanner, "protocolVersion is not a string")?);
            }
            "arguments" => params.arguments = Some(scanner.value()?),
            "requestId" => params.request_id = Some(scanner.value()?),
            "progressToken" => params.progress = Some(scanner.value()?),
            "inputResponses" => params.inputs = Some(scanner.value()?),
            "requestState" if scanner.peek() == b'"' => {
                let span = scanner.string()?;
                params.state = Some((span.clone(), scanner.unquote(&span)?));
            }
            "_meta" if scanner.peek() == b'{' => params.meta = Some(meta(scanner)?),
            _ => scanner.skip()?,
        }
        Ok(())
    })?;
    params.span = span;
    Ok(params)
}

fn meta<'a>(scanner: &mut Scanner<'a>) -> Result<Meta<'a>, Refused> {
    let mut meta = Meta { empty: true, ..Meta::default() };
    let span = scanner.object(&mut |scanner, key| {
        meta.empty = false;
        match &*key {
            META_VERSION => meta.version = Some(text(scanner, "the protocol version is not a string")?),
            META_CAPABILITIES if scanner.peek() == b'{' => meta.capabilities = Some(scanner.value()?),
            META_LOG_LEVEL if scanner.peek() == b'"' => {
                meta.log_level = Some(text(scanner, "the log level is not a string")?);
            }
            META_CAPABILITIES | META_CLIENT | META_LOG_LEVEL => scanner.skip()?,
            _ => {
                let span = scanner.value()?;
                match &*key {
                    META_PROGRESS => meta.progress = Some(span.clone()),
                    META_TRACE => meta.trace = Some(span.clone()),
                    _ => {}
                }
                meta.others.push((key, span));
            }
        }
        Ok(())
    })?;
    meta.span = span;
    Ok(meta)
}

fn result(scanner: &mut Scanner<'_>) -> Result<ResultSpan, Refused> {
    if scanner.peek() != b'{' {
        // JSON-RPC allows any value; there is nothing to look at in it.
        return Ok(ResultSpan { span: scanner.value()?, typed: true, ..ResultSpan::default() });
    }
    let mut result = ResultSpan { empty: true, ..ResultSpan::default() };
    result.span = scanner.object(&mut |scanner, key| {
        result.empty = false;
        match &*key {
            "resultType" => {
                result.typed = true;
                let span = scanner.value()?;
                result.input_required = &scanner.text()[span] == "\"input_required\"";
            }
            "inputRequests" => result.requests = Some(scanner.value()?),
            "requestState" if scanner.peek() == b'"' => result.state = Some(scanner.string()?),
            "ttlMs" => {
                result.cached = true;
                scanner.skip()?;
            }
            _ => scanner.skip()?,
        }
        Ok(())
    })?;
    Ok(result)
}
