// Live updates, copying, and questions before what cannot be undone. Every page works without it.
'use strict'

const status = document.getElementById('live-state')

// Replaces the parts of the page that have changed. Whatever has the focus, or is being typed into, stays.
async function refresh() {
  const reply = await fetch(location.href, { headers: { accept: 'text/html' }, credentials: 'same-origin' })
  if (reply.redirected || [401, 403, 404].includes(reply.status)) {
    location.reload()
    return
  }
  if (!reply.ok) throw new Error(`status ${reply.status}`)
  const fresh = new DOMParser().parseFromString(await reply.text(), 'text/html')
  for (const old of document.querySelectorAll('[data-live][id]')) {
    const next = fresh.getElementById(old.id)
    if (!next) continue
    for (const open of old.querySelectorAll('details[id][open]')) next.querySelector(`#${open.id}`)?.setAttribute('open', '')
    if (next.innerHTML === old.innerHTML || old.contains(document.activeElement)) continue
    old.replaceWith(document.adoptNode(next))
    prepare(next)
  }
}

function follow(path) {
  const events = new EventSource(path)
  let lost = null // what has become of the connection, as the page says it
  const say = (key) => { if (status) status.textContent = status.dataset[key] }
  const update = () => refresh().catch(() => say('off'))
  events.onopen = () => {
    say('on')
    if (lost) update() // for what has changed meanwhile
    lost = null
  }
  // The browser connects again by itself, unless the reply was no stream: the session may have ended.
  events.onerror = () => {
    lost ??= 'off'
    say(lost)
    if (events.readyState === EventSource.CLOSED) setTimeout(() => update().then(() => follow(path)), 5000)
  }
  events.addEventListener('changed', update)
  events.addEventListener('stopping', () => { lost = 'stopping' })
  events.addEventListener('ended', () => { events.close(); location.reload() })
}

async function copy(button) {
  const text = button.parentElement.querySelector('code').textContent
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    const range = document.createRange()
    range.selectNodeContents(button.parentElement.querySelector('code'))
    getSelection().removeAllRanges()
    getSelection().addRange(range)
    button.textContent = 'Press Ctrl+C'
  }
  setTimeout(() => { button.textContent = 'Copy' }, 2000)
}

function prepare(root) {
  for (const button of root.querySelectorAll('[data-copy]')) button.hidden = false
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]')
  if (button) copy(button)
})
document.addEventListener('submit', (event) => {
  const question = event.target.dataset.confirm
  if (question && !confirm(question)) event.preventDefault()
})
prepare(document)
if (document.body.dataset.events) follow(document.body.dataset.events)
