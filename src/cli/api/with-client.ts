/** Runs one command against the API and closes the connection whatever happens. */
import { ApiClient, type ApiOptions } from './client.js';

export async function withClient<T>(
  options: ApiOptions,
  body: (client: ApiClient) => Promise<T>,
): Promise<T> {
  const client = new ApiClient(options);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}
