// From file:// a browser reads no other page, so that a result can't show where it was found.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
