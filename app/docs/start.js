// Addresses are relative to the page's, so that they hold under every root path.
SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else it shows the document's address to its maker's validator
});
