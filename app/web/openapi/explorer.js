SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.currentScript.dataset.document,
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  filter: true,
  defaultModelsExpandDepth: 0,
  // The badge of an outside validator.
  validatorUrl: null,
});
